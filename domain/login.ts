import { z } from 'zod';

const loginSchema = z.object({ username: z.string(), password: z.string() });

/** A user name and its password, of a source host or of an external registry. */
export type Login = Readonly<z.infer<typeof loginSchema>>;

/** Reads a login as it is sealed: JSON `{username, password}`. Throws a ZodError when it is none. */
export function parseLogin(text: string): Login {
  return loginSchema.parse(JSON.parse(text));
}
