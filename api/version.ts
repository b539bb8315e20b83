import packageJson from '../package.json' with { type: 'json' };

/** The version of this installation, of `package.json`. */
export const version: string = packageJson.version;
