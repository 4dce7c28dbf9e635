"""What executes a program: reference, cpu; knows nothing above the data contract."""
