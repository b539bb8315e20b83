/** Every number a user can run into (docs/product.md, section 15); `GET /v1/limits` answers with these. */
export const limits = {
  apiBodyBytes: 1024 * 1024,
  hookBodyBytes: 25 * 1024 * 1024,
  /** Bodies over this size are counted, and only so many are taken in at once. */
  hookLargeBodyBytes: 1024 * 1024,
  hookLargeBodies: 8,
  hookBodyMs: 20_000,
  /** Deliveries of one hook, and refused deliveries of one address. */
  hookPerSecond: 100,
  hookBurst: 1_000,
  /** After so many failed attempts a delivery is set aside instead of holding up its repository. */
  inboxAttempts: 10,
  caCertificateBytes: 64 * 1024,
  sourceAccountNameLength: 64,
  sourceHostAnswerBytes: 1024 * 1024,
  sourceAuthorizationMs: 10 * 60 * 1000,
  sourceRefsShown: 100,
  manifestBytes: 4 * 1024 * 1024,
  pageSize: 20,
  pageSizeMax: 100,
  regexpLength: 256,
  regexpProgramSize: 2_000,
  regexpSubjectLength: 255,
  imageTagLength: 128,
  imagePathLength: 255,
  imageTagsPerRule: 3,
  buildParameters: 20,
  buildParameterValueBytes: 4 * 1024,
  buildSecrets: 20,
  buildSecretBytes: 64 * 1024,
  /** What is shorter is not masked in logs, so it is no secret. */
  buildSecretMinLength: 6,
  buildSecretsPerNamespace: 500,
  /** Patterns of each list of a path filter, and the longest one. */
  pathPatterns: 20,
  pathPatternLength: 255,
  /** A push that changed more files, or files with longer names, builds whatever its path filter says. */
  changedPaths: 3_000,
  changedPathLength: 1_024,
  /** Refs a preview shows, and the rules one import takes. */
  previewedRefs: 100,
  importedRules: 50,
  architecturesPerRule: 5,
  /** What the steps of one build may use together. */
  buildMemoryBytes: 4 * 1024 ** 3,
  buildCpus: 2,
  buildProcesses: 2_048,
  /** Below this much free disk, caches of builds are dropped. */
  buildDiskFreeBytes: 5 * 1024 ** 3,
  /** A builder's caches of a namespace that built nothing for so long are dropped. */
  buildCacheUnusedMs: 30 * 24 * 60 * 60 * 1000,
  buildImageBytes: 10 * 1024 ** 3,
  buildLayerBytes: 5 * 1024 ** 3,
  buildImageLayers: 127,
  /** A remote cache no build has read or written for so long is deleted. */
  buildCacheKeptDays: 30,
  chainsPerInstance: 500,
  chainExclusions: 50,
  cveListLength: 200,
  scanReportBytes: 64 * 1024 * 1024,
  replicationRulesPerNamespace: 100,
  triggersPerNamespace: 100,
  triggerTags: 50,
  triggerHeaders: 10,
  triggerBodyBytes: 20 * 1024,
  triggerStoredBytes: 4 * 1024,
  triggerReadBytes: 64 * 1024,
  triggerDisabledAfterMs: 5 * 24 * 60 * 60 * 1000,
  /** How long what has ended is kept, in days; configurable (SLIPWAY_DELIVERIES_KEPT_DAYS and its like). */
  deliveriesKeptDays: 30,
  logsKeptDays: 90,
  /** Build contexts: longer than any run may take. */
  contextsKeptDays: 8,
  recordsKeptDays: 365,
  /** Builds of a namespace that wait for a worker; configurable (SLIPWAY_WAITING_BUILDS). */
  waitingBuildsPerNamespace: 1_000,
  logBytes: 64 * 1024 * 1024,
  logPageLines: 100,
  logPageLinesMax: 5_000,
  /** Branches and tags of one source that are compared with what was seen. */
  refsPerSource: 20_000,
  checkoutBytes: 1024 * 1024 * 1024,
  checkoutFiles: 100_000,
  /** A path of the context, and one name in it: what a file system takes below a folder of ours. */
  checkoutPathBytes: 3_500,
  checkoutNameBytes: 255,
  loginTokenMinHours: 1,
  loginTokenMaxHours: 24,
  registryTokenSeconds: 300,
  secretRotationMs: 24 * 60 * 60 * 1000,
  sessionIdleMs: 12 * 60 * 60 * 1000,
  sessionMaxMs: 7 * 24 * 60 * 60 * 1000,
  idempotencyKeyLength: 255,
} as const;
