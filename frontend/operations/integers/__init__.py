"""What Python does with integers: division that rounds down, powers, bits."""
