import { readFile } from 'node:fs/promises';
import { ProcessFailed, runProcess } from '../activities/drivers/process.ts';
import { definedOnly } from '../tools/plan.ts';
import { StackError } from './stack-error.ts';

/** The kernel's name of the emulator for each architecture we build for, in OCI's words. */
const EMULATORS = { amd64: 'qemu-x86_64', arm64: 'qemu-aarch64' } as const;

export type BuildArchitecture = keyof typeof EMULATORS;

const REGISTER_TIMEOUT_MS = 20_000;
const INSTALL = 'apt-get install -y qemu-user-static binfmt-support arch-test';

/**
 * Makes programs of the other architectures run on this machine, here and inside build containers: registers Debian's
 * emulators with the kernel, which also mounts `binfmt_misc` where nobody did. To be done before buildkitd starts; it looks
 * at the platforms once an hour only. Throws with the line to run if they cannot be had.
 */
export async function ensureEmulation(
  architectures: readonly BuildArchitecture[],
  { env, signal }: { readonly env: NodeJS.ProcessEnv; readonly signal: AbortSignal },
): Promise<void> {
  for (const architecture of architectures) {
    if (architecture === nativeArchitecture() || (await isRegistered(architecture))) continue;
    const reason = await enable(EMULATORS[architecture], { env: definedOnly(env), signal });
    if (await isRegistered(architecture)) continue;
    throw new StackError(
      `Programs for linux/${architecture} do not run on this machine${reason}: run "${INSTALL}" as root once, then start again.`,
    );
  }
}

/** The machine's own architecture in OCI's words. */
export function nativeArchitecture(): BuildArchitecture {
  return process.arch === 'arm64' ? 'arm64' : 'amd64';
}

/** What the kernel says about an emulator: enabled, and (flag F) opened once, so that it is there inside containers too. */
export function isUsableEmulator(kernelEntry: string): boolean {
  return kernelEntry.startsWith('enabled') && /^flags: \w*F/m.test(kernelEntry);
}

async function isRegistered(architecture: BuildArchitecture): Promise<boolean> {
  const entry = await readFile(`/proc/sys/fs/binfmt_misc/${EMULATORS[architecture]}`, 'utf8').catch(() => '');
  return isUsableEmulator(entry);
}

/** Resolves to why it did not work, or to nothing. */
async function enable(
  emulator: string,
  context: { readonly env: Readonly<Record<string, string>>; readonly signal: AbortSignal },
): Promise<string> {
  try {
    await runProcess({
      command: 'update-binfmts',
      args: ['--enable', emulator],
      timeoutMs: REGISTER_TIMEOUT_MS,
      ...context,
    });
    return '';
  } catch (error) {
    if (error instanceof ProcessFailed) return ` (${error.message})`;
    throw error;
  }
}
