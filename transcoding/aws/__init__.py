"""What runs in AWS Lambda: event in, engine call, answer out. Imports no Django."""
