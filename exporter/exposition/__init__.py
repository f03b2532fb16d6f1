"""What /metrics answers: samples of the store's states, the exporter's own metrics, and the bodies made of both."""
