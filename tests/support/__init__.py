"""What tests share: a clock to turn, real HTTP servers, and the real programs on 127.0.0.1."""
