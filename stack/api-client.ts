import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { StackError } from './stack-error.ts';

const TIMEOUT_MS = 30_000;
const problemSchema = z.object({
  detail: z.string().optional(),
  code: z.string().optional(),
  errors: z.array(z.object({ pointer: z.string(), message: z.string() })).optional(),
});

/** The HTTP API as the stack uses it: with the administrator's token, like any client. */
export interface ApiClient {
  /** Sends a request and reads the answer by the schema. Throws StackError with the API's own words. */
  call<Schema extends z.ZodType>(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    options: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>>; readonly answer: Schema },
  ): Promise<z.output<Schema>>;
  /** Asks until the answer is what is waited for. */
  until<Schema extends z.ZodType>(
    path: string,
    options: {
      readonly answer: Schema;
      readonly isDone: (answer: z.output<Schema>) => boolean;
      readonly everyMs: number;
    },
  ): Promise<z.output<Schema>>;
}

export function createApiClient({
  url,
  token,
  signal,
}: {
  readonly url: string;
  readonly token: string;
  readonly signal: AbortSignal;
}): ApiClient {
  const call: ApiClient['call'] = async (method, path, { body, headers, answer }) => {
    const response = await fetch(`${url}${path}`, {
      method,
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new StackError(`${method} ${path} was refused (${response.status}): ${problemOf(text)}`);
    return answer.parse(text === '' ? null : JSON.parse(text));
  };
  return {
    call,
    until: async (path, { answer, isDone, everyMs }) => {
      for (;;) {
        const found = await call('GET', path, { answer });
        if (isDone(found)) return found;
        await delay(everyMs, undefined, { signal });
      }
    },
  };
}

function problemOf(text: string): string {
  try {
    const problem = problemSchema.parse(JSON.parse(text));
    const fields = (problem.errors ?? []).map(({ pointer, message }) => `${pointer} ${message}`);
    return [problem.detail ?? problem.code ?? text, ...fields].join(' ');
  } catch {
    return text.slice(0, 500);
  }
}
