import { mkdir, writeFile } from 'node:fs/promises';
import { arch, cpus, platform, totalmem } from 'node:os';
import { join } from 'node:path';

/** One measured number against its target; the form every benchmark writes to `bench/results/<name>.json`. */
export interface Check {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly op: '>=' | '<=';
  readonly target: number;
  readonly pass: boolean;
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly os: string;
  readonly node: string;
}

export interface Report {
  readonly name: string;
  /** RFC 3339. */
  readonly at: string;
  readonly machine: Machine;
  readonly checks: readonly Check[];
}

export function check(name: string, value: number, rule: { unit: string; op: Check['op']; target: number }): Check {
  const rounded = Math.round(value * 1_000) / 1_000;
  return { name, value: rounded, ...rule, pass: rule.op === '>=' ? rounded >= rule.target : rounded <= rule.target };
}

/** Prints the machine and every check, writes `bench/results/<name>.json`, and returns whether all checks passed. */
export async function report(name: string, checks: readonly Check[]): Promise<boolean> {
  const written: Report = { name, at: new Date().toISOString(), machine: machine(), checks };
  const folder = join(import.meta.dirname, 'results');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify(written, null, 2)}\n`);

  const { cpu, cores, memoryGiB, os, node } = written.machine;
  console.log(`\nMachine: ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${os}, Node ${node}`);
  for (const { name: what, value, unit, op, target, pass } of checks) {
    console.log(`${pass ? 'pass' : 'FAIL'}  ${what}: ${value} ${unit} (${op} ${target})`);
  }
  return checks.every(({ pass }) => pass);
}

/** The middle value; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The smallest value that `share` of all (0 to 1) do not exceed. */
export function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1] ?? Number.NaN;
}

function machine(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    os: `${platform()} ${arch()}`,
    node: process.version,
  };
}
