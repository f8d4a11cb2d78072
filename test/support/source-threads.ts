// Threads that a test starts run the TypeScript sources too: they find their loader where Node looks for options.
const loader = new URL('./typescript.mjs', import.meta.url);
process.env['NODE_OPTIONS'] = `--import ${loader.href}`;
