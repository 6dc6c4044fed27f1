"""What a person sees in a browser: the viewers that this server serves."""
