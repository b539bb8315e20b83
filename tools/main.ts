import { isToolName, stackTools, toolNames, type ToolName } from './catalog.ts';
import { ToolError } from './plan.ts';
import { resolveTools } from './resolve.ts';

/** `node tools/main.ts [names…]`: makes sure the named tools, or all the stack needs, are there; prints `name path` lines. */
async function main(args: readonly string[]): Promise<void> {
  const names = args.length === 0 ? stackTools : args.flatMap((name) => (name === 'all' ? toolNames : [named(name)]));
  const paths = await resolveTools(names, {
    env: process.env,
    onProgress: (line) => console.error(line),
    signal: interrupted(),
  });
  for (const [binary, path] of Object.entries(paths)) console.log(`${binary} ${path}`);
}

function named(name: string): ToolName {
  if (isToolName(name)) return name;
  throw new ToolError(`There is no tool "${name}"; there are ${toolNames.join(', ')}, or all.`);
}

function interrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => controller.abort(new ToolError(`Stopped by ${signal}.`)));
  }
  return controller.signal;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof ToolError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
