"""What adapters over hosted APIs share: settings, dialogues, structured answers and failures."""
