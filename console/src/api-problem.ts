import type { Problem } from './api-types.ts';

/** An answer that is not a success, or none at all (`status` 0). */
export class ApiProblem extends Error {
  readonly status: number;
  readonly problem: Problem;

  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.detail ?? problem.title ?? `HTTP ${problem.status}`, options);
    this.name = 'ApiProblem';
    this.status = problem.status;
    this.problem = problem;
  }
}
