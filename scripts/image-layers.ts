/** The steps of the two Dockerfiles that write files, in their order. What comes before is Debian. */
export const imageLayers = [
  'packages that the base lacks, user, folders, git settings',
  'Node.js',
  'Codex: codex, code-mode host, rg, bwrap',
  'npm',
  'adapters: codex-acp, and Claude with `CAISSON_IMAGE_CLAUDE=1`',
  'configuration',
  'files that Codex makes in its home',
  'guest',
  'code caches of the guest and of codex-acp',
] as const;
