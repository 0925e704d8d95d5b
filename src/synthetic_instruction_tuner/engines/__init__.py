"""What runs a model for text, behind one small interface."""
