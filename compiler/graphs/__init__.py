"""What passes share: ways to walk, rebuild, batch, differentiate and compare graphs."""
