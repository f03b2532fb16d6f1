"""What people are shown, worked out once for the page, the terminal and the JSON document."""
