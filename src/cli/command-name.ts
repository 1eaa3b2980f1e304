type Environment = Readonly<Record<string, string | undefined>>;

/** How this command line is called from where it runs: in a clone of the repository npm knows it, the shell does not. */
export function commandName(environment: Environment = process.env): string {
  return environment['npm_package_name'] === 'caisson' ? 'npm run -s caisson --' : 'caisson';
}

/** Advice that names commands of ours as `caisson …`, with what has to be typed here. */
export function advice(text: string, environment: Environment = process.env): string {
  return text.replaceAll(/(?<![\w/.-])caisson(?= (?:[a-z]+\b|--?[a-z]|<))/g, commandName(environment));
}
