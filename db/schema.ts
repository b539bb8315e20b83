import type {
  BuildArchitectureTable,
  BuildBaseImageTable,
  BuildCacheTable,
  BuildRuleTable,
  BuildTable,
  BuildWorkerTable,
  LogSegmentTable,
} from './tables/build.ts';
import type { BaseImageTable, UsedImageTable } from './tables/base-image.ts';
import type { BuildSecretTable } from './tables/build-secret.ts';
import type { ChainTable, ChainVersionTable } from './tables/chain.ts';
import type { InstanceTable } from './tables/instance.ts';
import type { NamespaceTable } from './tables/namespace.ts';
import type { BlobPlaceTable, TagFenceTable, TagMoveTable, TagPointerTable } from './tables/push.ts';
import type { RunEventTable, RunStepChildTable, RunStepTable, RunTable } from './tables/record.ts';
import type { ReplicationRuleTable, ReplicationTaskTable } from './tables/replicate.ts';
import type { RepositoryTable } from './tables/repository.ts';
import type { FindingTable, ScanReportTable, ScanTable } from './tables/scan.ts';
import type { SecretTable } from './tables/secret.ts';
import type { IdempotencyKeyTable, LoginCodeTable, SessionTable } from './tables/session.ts';
import type {
  CommitStatusTable,
  InboxTable,
  RateBucketTable,
  SourceAccountTable,
  SourceAuthorizationTable,
  SourceBindingTable,
  SourceRefTable,
} from './tables/source.ts';
import type { DeliveryAttemptTable, DeliveryTable, TriggerTable } from './tables/trigger.ts';

/** Every table by its name in PostgreSQL. */
export interface Schema {
  instance: InstanceTable;
  namespace: NamespaceTable;
  repository: RepositoryTable;
  source_account: SourceAccountTable;
  source_authorization: SourceAuthorizationTable;
  source_binding: SourceBindingTable;
  commit_status: CommitStatusTable;
  source_ref: SourceRefTable;
  inbox: InboxTable;
  rate_bucket: RateBucketTable;
  secret: SecretTable;
  base_image: BaseImageTable;
  used_image: UsedImageTable;
  build_rule: BuildRuleTable;
  build_secret: BuildSecretTable;
  build: BuildTable;
  build_worker: BuildWorkerTable;
  build_architecture: BuildArchitectureTable;
  build_base_image: BuildBaseImageTable;
  build_cache: BuildCacheTable;
  log_segment: LogSegmentTable;
  chain: ChainTable;
  chain_version: ChainVersionTable;
  run: RunTable;
  run_step: RunStepTable;
  run_step_child: RunStepChildTable;
  run_event: RunEventTable;
  tag_pointer: TagPointerTable;
  tag_move: TagMoveTable;
  tag_fence: TagFenceTable;
  blob_place: BlobPlaceTable;
  scan: ScanTable;
  scan_report: ScanReportTable;
  finding: FindingTable;
  replication_rule: ReplicationRuleTable;
  replication_task: ReplicationTaskTable;
  trigger: TriggerTable;
  delivery: DeliveryTable;
  delivery_attempt: DeliveryAttemptTable;
  session: SessionTable;
  login_code: LoginCodeTable;
  idempotency_key: IdempotencyKeyTable;
}
