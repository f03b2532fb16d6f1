"""The command `bundle`: dashboards, rules and provisioning for a site of its own."""
