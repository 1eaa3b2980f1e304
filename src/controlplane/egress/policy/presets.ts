interface Preset {
  readonly about: string;
  /** Each host with its ports; without ports 443. `*.` stands for the names under it. */
  readonly hosts: readonly (string | { readonly host: string; readonly ports: readonly number[] })[];
}

const web = (host: string) => ({ host, ports: [80, 443] }) as const;

/**
 * Hosts that belong together, by the name that rules call them. Each is what the tool needs to fetch, and nothing else; what
 * takes uploads of anybody, such as a code host, can also carry things out. To change one is to change every rule that names it.
 */
export const egressPresets = {
  npm: { about: 'packages of npm and Yarn', hosts: ['registry.npmjs.org', 'registry.yarnpkg.com'] },
  node: { about: 'Node.js itself, and its headers', hosts: ['nodejs.org'] },
  pypi: { about: 'packages of Python', hosts: ['pypi.org', 'files.pythonhosted.org'] },
  conda: { about: 'packages of conda', hosts: ['conda.anaconda.org', 'repo.anaconda.com'] },
  crates: { about: 'crates of Rust', hosts: ['crates.io', 'index.crates.io', 'static.crates.io'] },
  rust: { about: 'the Rust toolchain', hosts: ['static.rust-lang.org', 'sh.rustup.rs'] },
  go: { about: 'modules of Go, by its proxy', hosts: ['proxy.golang.org', 'sum.golang.org'] },
  maven: { about: 'packages of Java', hosts: ['repo.maven.apache.org', 'repo1.maven.org'] },
  gradle: {
    about: 'Gradle itself, and its plugins',
    hosts: ['services.gradle.org', 'downloads.gradle.org', 'plugins.gradle.org', 'plugins-artifacts.gradle.org'],
  },
  rubygems: { about: 'gems of Ruby', hosts: ['rubygems.org', 'index.rubygems.org'] },
  nuget: { about: 'packages of .NET', hosts: ['api.nuget.org'] },
  packagist: { about: 'packages of PHP', hosts: ['packagist.org', 'repo.packagist.org'] },
  debian: { about: 'packages of Debian', hosts: [web('deb.debian.org'), web('security.debian.org')] },
  ubuntu: {
    about: 'packages of Ubuntu',
    hosts: [web('archive.ubuntu.com'), web('security.ubuntu.com'), web('ports.ubuntu.com')],
  },
  alpine: { about: 'packages of Alpine', hosts: [web('dl-cdn.alpinelinux.org')] },
  github: {
    about: 'GitHub: git over HTTPS and SSH, the API, releases and raw files',
    hosts: [
      { host: 'github.com', ports: [22, 443] },
      'ssh.github.com',
      'api.github.com',
      'uploads.github.com',
      'codeload.github.com',
      '*.githubusercontent.com',
    ],
  },
  gitlab: {
    about: 'GitLab.com: git over HTTPS and SSH, and the API',
    hosts: [{ host: 'gitlab.com', ports: [22, 443] }],
  },
} as const satisfies Readonly<Record<string, Preset>>;

export type PresetName = keyof typeof egressPresets;

export const presetNames = Object.keys(egressPresets).filter(isPresetName);

function isPresetName(name: string): name is PresetName {
  return Object.hasOwn(egressPresets, name);
}

/** Every host of a preset with its ports. */
export function presetHosts(name: PresetName): readonly { readonly host: string; readonly ports: readonly number[] }[] {
  const { hosts }: Preset = egressPresets[name];
  return hosts.map((each) => (typeof each === 'string' ? { host: each, ports: [443] } : each));
}
