-- Run by the Postgres image once, when its volume is new: the schema registry keeps its tables apart from sluice's.
CREATE DATABASE registry;
