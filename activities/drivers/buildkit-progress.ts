import { StringDecoder } from 'node:string_decoder';
import { z } from 'zod';
import type { BuildStage } from '../../domain/log-line.ts';
import type { LogStepMark } from '../../domain/log-steps.ts';
import { createLineReader, plainLine, type LineReader } from '../../domain/log-text.ts';
import { maskText } from '../../domain/mask.ts';

const vertexSchema = z.looseObject({
  digest: z.string(),
  name: z.string().catch(''),
  started: z.string().nullish(),
  completed: z.string().nullish(),
  cached: z.boolean().nullish(),
  error: z.string().nullish(),
  progressGroup: z.looseObject({ id: z.string(), name: z.string().catch('') }).nullish(),
});
const statusSchema = z.looseObject({
  id: z.string(),
  vertex: z.string(),
  current: z.number().catch(0),
  total: z.number().catch(0),
  timestamp: z.string(),
  completed: z.string().nullish(),
});
const logSchema = z.looseObject({
  vertex: z.string(),
  stream: z.number().catch(1),
  data: z.base64().catch(''),
  timestamp: z.string(),
});
const warningSchema = z.looseObject({ vertex: z.string(), short: z.base64().catch('') });
const messageSchema = z.looseObject({
  vertexes: z.array(vertexSchema).nullish(),
  statuses: z.array(statusSchema).nullish(),
  logs: z.array(logSchema).nullish(),
  warnings: z.array(warningSchema).nullish(),
});
type Vertex = z.infer<typeof vertexSchema>;

/** A line for the build's log; `time` is RFC 3339. With `progressOf` no line: how far that step has come, at most once a second. */
export interface ProgressLine {
  readonly time: string;
  readonly stage: BuildStage;
  readonly text: string;
  /** The step that begins or ends with this line. */
  readonly mark: LogStepMark | null;
  readonly progressOf: number | null;
}

/** Reads what `buildctl --progress rawjson` writes to standard error. */
export interface Progress {
  /** One line of standard error; lines that are no progress are kept for `problem`. */
  read(line: string): readonly ProgressLine[];
  /** Lines that were never ended. */
  end(): readonly ProgressLine[];
  /** Steps of the Dockerfile that ended well or were taken from the cache; `cachedSteps` counts the latter. */
  readonly steps: number;
  readonly cachedSteps: number;
  /** What the build started from, by the name BuildKit gives it; the digests are those the registry had. */
  readonly baseImages: readonly BaseImageDigest[];
  /** What buildctl said besides progress: the excerpt of the Dockerfile and the error. */
  readonly problem: string;
}

/** `docker.io/library/debian:bookworm-slim` and what it was when it was read. */
export interface BaseImageDigest {
  readonly name: string;
  readonly digest: string;
}

/** One step of the build; copies of a step that share a progress group are one. */
interface Step {
  readonly number: number;
  readonly name: string;
  readonly stage: BuildStage;
  readonly readers: Map<number, { readonly decoder: StringDecoder; readonly lines: LineReader }>;
  isEnded: boolean;
  /** When it last told how far it has come, in milliseconds. */
  toldAt: number;
}

const problemLines = 200;
/** What is only progress is told no more often. */
const progressEveryMs = 1_000;
/** `[2/3] RUN make`, `[final 1/2] COPY . .`; taking a base image up is no step of its own. */
const dockerfileStep = /^\[(?:.+ )?\d+\/\d+\] (?!FROM )/;
const baseImageStep = /^(?:\[[^\]]+\] )?FROM (\S+)@(sha256:[0-9a-f]{64})$/;

export function createProgress({ secrets }: { readonly secrets: readonly string[] }): Progress {
  const keys = new Map<string, string>();
  const steps = new Map<string, Step>();
  const ended = new Set<string>();
  const cached = new Set<string>();
  const baseImages = new Map<string, string>();
  const shown = new Set<string>();
  const problem: string[] = [];
  let lastTime = new Date(0).toISOString();

  function line(step: Step, at: string, text: string, mark: LogStepMark | null = null): ProgressLine {
    // Pulls and pushes are started again and again: their next end counts once they have said something more.
    step.isEnded = false;
    lastTime = new Date(at).toISOString();
    return { time: lastTime, stage: step.stage, text: `#${step.number} ${text}`, mark, progressOf: null };
  }

  function progress(step: Step, at: string, text: string): readonly ProgressLine[] {
    const now = Date.parse(at);
    if (text === '' || now - step.toldAt < progressEveryMs) return [];
    step.toldAt = now;
    return [{ time: new Date(now).toISOString(), stage: step.stage, text, mark: null, progressOf: step.number }];
  }

  function readVertex(vertex: Vertex): readonly ProgressLine[] {
    const key = vertex.progressGroup?.id ?? vertex.digest;
    keys.set(vertex.digest, key);
    count(vertex, key);
    const at = vertex.started ?? vertex.completed;
    if (at === null || at === undefined) return [];
    const { step, lines } = startStep(key, vertex, at);
    if (typeof vertex.completed !== 'string') return lines;
    return [...lines, ...endStep(step, vertex, vertex.completed)];
  }

  function count({ name, cached: isCached, completed, error }: Vertex, key: string): void {
    const [, image, digest] = baseImageStep.exec(name) ?? [];
    if (image !== undefined && digest !== undefined) baseImages.set(image, digest);
    if (!dockerfileStep.test(name)) return;
    if (isCached === true) cached.add(key);
    if (isCached === true || (typeof completed === 'string' && !error)) ended.add(key);
  }

  function startStep(key: string, vertex: Vertex, at: string): { step: Step; lines: readonly ProgressLine[] } {
    const known = steps.get(key);
    if (known !== undefined) return { step: known, lines: [] };
    const name = maskText(plainLine(vertex.progressGroup?.name ?? vertex.name), secrets);
    const step: Step = {
      number: steps.size + 1,
      name,
      stage: stageOf(name),
      readers: new Map(),
      isEnded: false,
      toldAt: Date.parse(at),
    };
    steps.set(key, step);
    return { step, lines: [line(step, at, name, { kind: 'step', step: step.number, name })] };
  }

  function endStep(step: Step, vertex: Vertex, completed: string): readonly ProgressLine[] {
    const rest = closeReaders(step, completed);
    if (step.isEnded) return rest;
    const mark = { kind: 'end', step: step.number, ...endOf(vertex, completed) } as const;
    const end = line(step, completed, maskText(endText(vertex, mark.durationMs), secrets), mark);
    step.isEnded = true;
    return [...rest, end];
  }

  function closeReaders(step: Step, at: string): readonly ProgressLine[] {
    const lines = [...step.readers.values()].flatMap((reader) => [
      ...reader.lines.push(reader.decoder.end()),
      ...reader.lines.end(),
    ]);
    step.readers.clear();
    return lines.map((text) => line(step, at, text));
  }

  function readLog({ vertex, stream, data, timestamp }: z.infer<typeof logSchema>): readonly ProgressLine[] {
    const step = stepOf(vertex);
    if (step === undefined) return [];
    const reader = step.readers.get(stream) ?? {
      decoder: new StringDecoder('utf8'),
      lines: createLineReader(secrets),
    };
    step.readers.set(stream, reader);
    const lines = reader.lines.push(reader.decoder.write(Buffer.from(data, 'base64')));
    if (lines.length === 0) return progress(step, timestamp, reader.lines.pending());
    return lines.map((text) => line(step, timestamp, text));
  }

  function readStatus(status: z.infer<typeof statusSchema>): readonly ProgressLine[] {
    const step = stepOf(status.vertex);
    const key = `${status.vertex} ${status.id}`;
    if (step === undefined || shown.has(key)) return [];
    const size = status.current > 0 ? ` ${humanSize(status.current)}` : '';
    if (typeof status.completed !== 'string') {
      const total = status.total > status.current ? ` / ${humanSize(status.total)}` : '';
      return progress(step, status.timestamp, maskText(`${plainLine(status.id)}${size}${total}`, secrets));
    }
    shown.add(key);
    return [line(step, status.completed, `${plainLine(status.id)}${size} done`)];
  }

  function readWarning({ vertex, short }: z.infer<typeof warningSchema>): readonly ProgressLine[] {
    const step = stepOf(vertex);
    const text = maskText(plainLine(Buffer.from(short, 'base64').toString('utf8')), secrets);
    if (step === undefined || text === '' || shown.has(text)) return [];
    shown.add(text);
    return [line(step, lastTime, `WARNING: ${text}`)];
  }

  const stepOf = (digest: string): Step | undefined => steps.get(keys.get(digest) ?? digest);

  return {
    read(text) {
      const message = parseMessage(text);
      if (message === undefined) {
        if (text.trim() !== '' && problem.push(maskText(text, secrets)) > problemLines) problem.shift();
        return [];
      }
      // Within one message a vertex may stand several times: only its last state counts.
      const vertexes = new Map((message.vertexes ?? []).map((vertex) => [vertex.digest, vertex]));
      return [
        ...[...vertexes.values()].filter((vertex) => typeof vertex.completed !== 'string').flatMap(readVertex),
        ...(message.statuses ?? []).flatMap(readStatus),
        ...(message.logs ?? []).flatMap(readLog),
        ...[...vertexes.values()].filter((vertex) => typeof vertex.completed === 'string').flatMap(readVertex),
        ...(message.warnings ?? []).flatMap(readWarning),
      ];
    },
    end: () => [...steps.values()].flatMap((step) => closeReaders(step, lastTime)),
    get steps() {
      return ended.size;
    },
    get baseImages() {
      return [...baseImages].map(([name, digest]) => ({ name, digest }));
    },
    get cachedSteps() {
      return cached.size;
    },
    get problem() {
      return problem.join('\n');
    },
  };
}

function parseMessage(text: string): z.infer<typeof messageSchema> | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    return messageSchema.parse(JSON.parse(text));
  } catch {
    // One unreadable line of progress is no reason to lose a build.
    return {};
  }
}

function endOf(vertex: Vertex, completed: string): Pick<Extract<LogStepMark, { kind: 'end' }>, 'state' | 'durationMs'> {
  const durationMs = Math.max(0, Date.parse(completed) - Date.parse(vertex.started ?? completed));
  if (typeof vertex.error === 'string' && vertex.error !== '') {
    return { state: vertex.error.includes('context canceled') ? 'canceled' : 'failed', durationMs };
  }
  return { state: vertex.cached === true ? 'cached' : 'done', durationMs };
}

function endText(vertex: Vertex, durationMs: number | null): string {
  if (typeof vertex.error === 'string' && vertex.error !== '') {
    return vertex.error.includes('context canceled') ? 'CANCELED' : `ERROR: ${plainLine(vertex.error)}`;
  }
  if (vertex.cached === true) return 'CACHED';
  return `DONE ${((durationMs ?? 0) / 1000).toFixed(1)}s`;
}

function stageOf(name: string): BuildStage {
  if (/^(?:\[internal\]|importing cache)/.test(name)) return 'prepare';
  if (name.startsWith('[auth]')) return /:\S*push/.test(name) ? 'push' : 'prepare';
  return /^(exporting|pushing)/.test(name) ? 'push' : 'build';
}

function humanSize(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(1)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
