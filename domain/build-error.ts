/** Why a build failed; stable, each with a page in docs/errors. */
export type BuildErrorCode =
  | 'build.dockerfile_invalid'
  | 'build.step_failed'
  | 'build.file_missing'
  | 'build.target_stage_missing'
  | 'build.secret_missing'
  | 'build.base_image_missing'
  | 'build.base_image_architecture_missing'
  | 'build.base_image_refused'
  | 'build.base_image_unreachable'
  | 'build.download_failed'
  | 'build.address_refused'
  | 'build.push_refused'
  | 'build.push_failed'
  | 'build.emulation_missing'
  | 'build.disk_full'
  | 'build.builder_unreachable'
  | 'build.network_error'
  | 'build.out_of_memory'
  | 'build.too_many_processes'
  | 'build.image_too_large'
  | 'build.layer_too_large'
  | 'build.too_many_layers'
  | 'build.timeout'
  | 'build.failed';

export interface BuildProblem {
  readonly code: BuildErrorCode;
  readonly fault: 'user' | 'system';
  /** Trying again as it is cannot help. */
  readonly isPermanent: boolean;
  readonly params: Readonly<Record<string, string | number>>;
  /** A sentence with the place in the Dockerfile. */
  readonly text: string;
}

/** A build that failed, and what that means to its user. */
export class BuildFailed extends Error {
  override readonly name = 'BuildFailed';
  readonly problem: BuildProblem;

  constructor(problem: BuildProblem, options?: ErrorOptions) {
    super(problem.text, options);
    this.problem = problem;
  }
}
