import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { timingSafeEqual } from 'node:crypto';

export interface GitServerOptions {
  /** Folder of bare repositories, `<namespace>/<name>.git`. */
  readonly root: string;
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port?: number;
  /** Where git and what it calls are found. */
  readonly path: string;
  /** Who may read and write; null: everyone reads, nobody writes. */
  readonly login: { readonly username: string; readonly password: string } | null;
  /** Further environment of git and its hooks. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface GitServer {
  /** `http://host:port`, without a login. */
  readonly url: string;
  /** What was asked, as `GET /shop/web.git/info/refs`; for tests. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** A real git server for samples and tests: `git http-backend` behind Node, with Basic authentication. */
export async function startGitServer(options: GitServerOptions): Promise<GitServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    // It has no API, and a missing API says so before it asks who is there.
    if (request.url?.startsWith('/api/')) {
      response.writeHead(404).end();
      return;
    }
    if (!isAllowed(request, options)) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
      return;
    }
    serve(request, response, options);
  });
  const host = options.host ?? '127.0.0.1';
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, host, resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  return {
    url: `http://${host}:${port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function isAllowed(request: IncomingMessage, { login }: GitServerOptions): boolean {
  if (login === null) return true;
  const wanted = Buffer.from(`Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`);
  const given = Buffer.from(request.headers.authorization ?? '');
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function serve(request: IncomingMessage, response: ServerResponse, options: GitServerOptions): void {
  const { pathname, search } = new URL(request.url ?? '/', 'http://git');
  const backend = spawn('git', ['http-backend'], {
    env: {
      PATH: options.path,
      HOME: options.root,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_PROJECT_ROOT: options.root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: header(request, 'git-protocol'),
      REQUEST_METHOD: request.method ?? 'GET',
      PATH_INFO: decodeURIComponent(pathname),
      QUERY_STRING: search.slice(1),
      CONTENT_TYPE: header(request, 'content-type'),
      CONTENT_LENGTH: header(request, 'content-length'),
      HTTP_CONTENT_ENCODING: header(request, 'content-encoding'),
      REMOTE_ADDR: '127.0.0.1',
      // http-backend takes pushes from known users only.
      ...(options.login === null ? {} : { REMOTE_USER: options.login.username }),
      ...options.env,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  // git may answer and go before the whole request was read.
  backend.stdin.on('error', () => request.unpipe(backend.stdin));
  request.pipe(backend.stdin);
  response.once('close', () => backend.kill());
  backend.once('error', () => response.writeHead(500).end());
  let head = Buffer.alloc(0);
  const readHead = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    backend.stdout.off('data', readHead);
    writeHead(response, head.subarray(0, end).toString('latin1'));
    response.write(head.subarray(end + 4));
    backend.stdout.pipe(response);
  };
  backend.stdout.on('data', readHead);
  backend.stdout.once('end', () => response.end());
}

function writeHead(response: ServerResponse, head: string): void {
  let status = 200;
  for (const line of head.split('\r\n')) {
    const colon = line.indexOf(':');
    const [name, value] = [line.slice(0, colon), line.slice(colon + 1).trim()];
    if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.writeHead(status);
}

function header(request: IncomingMessage, name: string): string {
  const value = request.headers[name];
  return typeof value === 'string' ? value : '';
}
