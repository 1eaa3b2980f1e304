import { Option } from 'commander';

const roles = ['member', 'auditor', 'admin'] as const;
export type UserRole = (typeof roles)[number];

export function roleOption(whose: string): Option {
  return new Option('--role <role>', whose).choices(roles);
}
