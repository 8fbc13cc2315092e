"""Whole tasks: from the files that people have to figures, pictures and answers."""
