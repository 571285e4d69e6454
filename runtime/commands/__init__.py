"""What is said to Nightyard itself in a chat: the table of commands, their words, and who carries them out."""
