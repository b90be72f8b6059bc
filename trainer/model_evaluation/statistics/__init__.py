"""What a judge's verdicts say and how sure one may be; libraries do the mathematics."""
