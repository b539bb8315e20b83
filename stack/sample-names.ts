/** Who may push to the sample's git server; the password is one of the stack's own keys. */
export const gitUser = 'shop';

/** The one repository of the sample's git server, and the name of the repository its images go to. */
export const sampleRepository = { namespace: 'shop', name: 'web' } as const;
