"""Who may ask which agent where: people, their chats, and what they asked for."""
