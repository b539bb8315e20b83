import { invalidRequest } from '../domain/errors.ts';

/** Refuses a PUT that would change what is fixed at creation; 422 with `<thing>.<field>_invalid` for each. */
export function refuseChanged(
  thing: string,
  fields: readonly { readonly field: string; readonly now: string; readonly asked: string }[],
): void {
  const errors = fields
    .filter(({ now, asked }) => now !== asked)
    .map(({ field, now }) => ({
      pointer: `/${field}`,
      code: `${thing}.${field}_invalid`,
      message: `"${field}" was fixed as "${now}" at creation. Leave it so, or make a new one.`,
    }));
  if (errors.length > 0) throw invalidRequest(errors);
}
