"""Who is asking: verification of credentials, for every skin that has users."""
