import { Option } from 'commander';

const roles = ['member', 'auditor', 'admin'] as const;
export type UserRole = (typeof roles)[number];

export function roleOption(): Option {
  return new Option('--role <role>', 'of the user').choices(roles).default('member');
}
