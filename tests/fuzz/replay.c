/*
 * replay: a main for a fuzz entry that reads a directory of inputs.
 *
 * `make check` links it in the place of libFuzzer, so that every input that
 * once was found interesting is tried by every compiler and sanitizer, and
 * no clang is needed.  Fails when the directory holds no input: a corpus
 * that got lost must not look like one that passed.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Larger inputs than libFuzzer's default are not kept in the tree. */
#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Give the file at path to the entry.  0 or -1. */
static int
replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(INPUT_MAX);
	int result = -1;

	if (file != NULL && data != NULL) {
		size_t size = fread(data, 1, INPUT_MAX, file);

		if (!ferror(file)) {
			LLVMFuzzerTestOneInput(data, size);
			result = 0;
		}
	}
	if (file != NULL)
		fclose(file);
	free(data);
	if (result == -1)
		perror(path);
	return result;
}

/* Replay every file of the directory.  The number, or -1. */
static int
replay_directory(const char *name)
{
	DIR *dir = opendir(name);
	int count = 0;
	struct dirent *entry;

	if (dir == NULL) {
		perror(name);
		return -1;
	}
	while (count != -1 && (entry = readdir(dir)) != NULL) {
		char path[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", name, entry->d_name);
		count = replay_file(path) == -1 ? -1 : count + 1;
	}
	closedir(dir);
	return count;
}

int
main(int argc, char **argv)
{
	int count;

	if (argc != 2) {
		fprintf(stderr, "usage: replay DIRECTORY\n");
		return 100;
	}
	count = replay_directory(argv[1]);
	printf("%d inputs\n", count);
	return count > 0 ? 0 : 1;
}
