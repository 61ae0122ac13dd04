"""What administrators do: functions over a Store, called by the command line, by pages and by client registration."""
