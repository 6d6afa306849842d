"""What must arrive: doorbells, cards, files."""
