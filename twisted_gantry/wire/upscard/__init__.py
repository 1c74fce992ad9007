"""The CLOUD management card of a UPS: messages, values, and one conversation with a card."""
