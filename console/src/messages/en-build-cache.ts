/** The remote caches of a repository's builds. */
export const enBuildCache = {
  title: 'Build cache',
  hint: 'Kept in the instance’s registry for each branch and architecture; a branch without one starts from the default branch’s.',
  empty: 'No build has written a cache yet.',
  columns: {
    branch: 'Branch',
    platform: 'Architecture',
    size: 'Size',
    hitRate: 'Hit rate',
    lastUsed: 'Last used',
    acts: 'Actions',
  },
  hitRate: (cachedSteps: number, steps: number) =>
    steps === 0
      ? '–'
      : `${Math.round((cachedSteps / steps) * 100)} % of ${steps.toLocaleString('en')} ${steps === 1 ? 'step' : 'steps'}`,
  clean: 'Clean',
  cleanOf: (branch: string, platform: string) => `Clean the cache of ${branch} for ${platform}`,
  cleanAll: 'Clean all',
  more: 'Show more',
};
