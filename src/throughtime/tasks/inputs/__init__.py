"""What a sequence may be made of: text, numbers, sound, pictures."""
