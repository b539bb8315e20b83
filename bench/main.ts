/** `npm run bench -- <name>`: runs one benchmark; exit code 1 when a target is missed. */

/** Each is a file of its name beside this one and exports `run(): Promise<boolean>`, true when every check passed. */
const benches = ['cache', 'cancel', 'chain', 'intake', 'log', 'outage', 'replicate', 'start'];

const name = process.argv[2] ?? '';
if (!benches.includes(name)) {
  console.error(`Name a benchmark: npm run bench -- <${benches.join('|')}>`);
  process.exit(2);
}
const { run }: { run: () => Promise<boolean> } = await import(`./${name}.ts`);
process.exitCode = (await run()) ? 0 : 1;
