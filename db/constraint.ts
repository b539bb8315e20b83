import { DatabaseError } from 'pg';

/** Whether PostgreSQL refused a row because of this unique constraint or index. */
function isUniqueViolation(error: unknown, constraint: string): boolean {
  return error instanceof DatabaseError && error.code === '23505' && error.constraint === constraint;
}

/** Runs an insert or update; a row that violates `constraint` becomes the error of `toError`. */
export async function refusing<Result>(
  constraint: string,
  toError: () => Error,
  write: () => Promise<Result>,
): Promise<Result> {
  try {
    return await write();
  } catch (error) {
    throw isUniqueViolation(error, constraint) ? toError() : error;
  }
}
