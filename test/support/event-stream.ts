/** One server-sent event as it came. */
export interface ReceivedEvent {
  readonly id: string | null;
  readonly event: string;
  readonly data: string;
}

/** Reads the events of an answer one by one; comments and `retry` are skipped. */
export async function* readEvents(response: Response): AsyncGenerator<ReceivedEvent> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const data = fieldOf(block, 'data');
      if (data !== null) yield { id: fieldOf(block, 'id'), event: fieldOf(block, 'event') ?? 'message', data };
    }
  }
}

function fieldOf(block: string, name: string): string | null {
  const line = block.split('\n').find((each) => each.startsWith(`${name}: `));
  return line?.slice(name.length + 2) ?? null;
}

/** The next event; fails when the stream ends instead. */
export async function nextEvent(events: AsyncGenerator<ReceivedEvent>): Promise<ReceivedEvent> {
  const { done, value } = await events.next();
  if (done === true) throw new Error('the stream ended');
  return value;
}
