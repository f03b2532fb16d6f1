"""HTTP: the Flask app, content negotiation and the server."""
