"""What agents ask of the host itself: to say something, to change it, to be answered by a person."""
