"""The built-in words of a bot, by language: what the bot file does not say itself."""
