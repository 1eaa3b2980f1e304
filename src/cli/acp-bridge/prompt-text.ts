import { RequestError, type ContentBlock } from '@agentclientprotocol/sdk';

/**
 * What an editor sends, as the text that the agent reads. Files that the editor embeds come along as text; links are
 * named, but their targets lie on the editor's machine, where the agent cannot read them.
 */
export function promptText(blocks: readonly ContentBlock[]): string {
  return blocks.map(blockText).join('');
}

function blockText(block: ContentBlock): string {
  switch (block.type) {
    case 'text':
      return block.text;
    case 'resource_link':
      return `[${block.title ?? block.name}](${block.uri})`;
    case 'resource':
      if ('text' in block.resource) return embedded(block.resource.uri, block.resource.text);
      throw RequestError.invalidParams(undefined, 'Caisson does not take binary resources in a prompt');
    case 'image':
    case 'audio':
      throw RequestError.invalidParams(undefined, `Caisson does not take ${block.type} in a prompt`);
  }
}

function embedded(uri: string, text: string): string {
  return `\n\n<resource uri="${uri.replaceAll('"', '%22')}">\n${text}\n</resource>\n\n`;
}
