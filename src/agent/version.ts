// What the agent tells Core and prints: the same number as in package.json (a test compares them), kept here because the
// bundle is one file.

export const version = '0.1.0';
