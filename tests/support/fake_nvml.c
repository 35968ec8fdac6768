/* A stand-in for libnvidia-ml.so.1 with as much of NVML as Tenure reads.
 *
 * The hardware is the text file named by FAKE_NVML_STATE, read anew at every call, so that a test changes it while the
 * client runs. One device a line, in the order of their indices; words are key=value, an underscore in a model is a blank:
 *
 *   uuid=GPU-0 model=NVIDIA_A100 total=81920 reserved=600 used=0 procs=412:900:35,77:20 numa=0 nvlink=1 mig=0 lost=0 cc=80 util=90 temp=65 watts=300
 *
 * Sizes are MiB. procs is pid:size or pid:size:percent, how busy the process keeps the device; a size of -1 the driver does not tell, and
 * with apart=0 not who keeps it busy. procs=none is a driver that does not name processes. Devices with the same nvlink number (above 0) are
 * joined; devices with the same numa number are near. Without the file the driver counts as not loaded. What is
 * -1 of util, temp and watts (the default) the driver does not tell.
 */
#include <nvml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_DEVICES 32
#define MOST_PROCESSES 32

typedef struct {
    char uuid[80], model[80];
    unsigned long long total, reserved, used;
    unsigned pids[MOST_PROCESSES];
    long long sizes[MOST_PROCESSES];
    unsigned percents[MOST_PROCESSES];
    int processes, apart, unnamed, numa, nvlink, mig, lost, capability, util, temp, watts;
} Device;

static Device devices[MOST_DEVICES];
static unsigned count;
static int users;

static void read_processes(Device *device, char *list) {
    device->unnamed = strcmp(list, "none") == 0;
    char *rest = NULL;
    for (char *one = strtok_r(list, ",", &rest); one && device->processes < MOST_PROCESSES; one = strtok_r(NULL, ",", &rest)) {
        int at = device->processes;
        if (sscanf(one, "%u:%lld:%u", &device->pids[at], &device->sizes[at], &device->percents[at]) >= 2) device->processes++;
    }
}

static void read_word(Device *device, char *word) {
    char *value = strchr(word, '=');
    if (!value) return;
    *value++ = '\0';
    if (!strcmp(word, "uuid")) snprintf(device->uuid, sizeof device->uuid, "%s", value);
    else if (!strcmp(word, "model")) {
        snprintf(device->model, sizeof device->model, "%s", value);
        for (char *c = device->model; *c; c++) if (*c == '_') *c = ' ';
    }
    else if (!strcmp(word, "total")) device->total = strtoull(value, NULL, 10) << 20;
    else if (!strcmp(word, "reserved")) device->reserved = strtoull(value, NULL, 10) << 20;
    else if (!strcmp(word, "used")) device->used = strtoull(value, NULL, 10) << 20;
    else if (!strcmp(word, "procs")) read_processes(device, value);
    else if (!strcmp(word, "apart")) device->apart = atoi(value);
    else if (!strcmp(word, "numa")) device->numa = atoi(value);
    else if (!strcmp(word, "nvlink")) device->nvlink = atoi(value);
    else if (!strcmp(word, "mig")) device->mig = atoi(value);
    else if (!strcmp(word, "lost")) device->lost = atoi(value);
    else if (!strcmp(word, "cc")) device->capability = atoi(value);
    else if (!strcmp(word, "util")) device->util = atoi(value);
    else if (!strcmp(word, "temp")) device->temp = atoi(value);
    else if (!strcmp(word, "watts")) device->watts = atoi(value);
}

static nvmlReturn_t refresh(void) {
    const char *path = getenv("FAKE_NVML_STATE");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) return NVML_ERROR_DRIVER_NOT_LOADED;
    char line[2048];
    for (count = 0; count < MOST_DEVICES && fgets(line, sizeof line, file);) {
        Device *device = &devices[count];
        memset(device, 0, sizeof *device);
        device->util = device->temp = device->watts = -1;
        device->apart = 1;
        char *rest = NULL;
        for (char *word = strtok_r(line, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) read_word(device, word);
        if (device->uuid[0]) count++;
    }
    fclose(file);
    return NVML_SUCCESS;
}

/* A handle is the index plus one. */
static nvmlReturn_t find(nvmlDevice_t handle, Device **device) {
    if (!users) return NVML_ERROR_UNINITIALIZED;
    nvmlReturn_t state = refresh();
    if (state != NVML_SUCCESS) return state;
    size_t number = (size_t)handle;
    if (number < 1 || number > count) return NVML_ERROR_INVALID_ARGUMENT;
    *device = &devices[number - 1];
    return (*device)->lost ? NVML_ERROR_GPU_IS_LOST : NVML_SUCCESS;
}

#define FIND(handle, device) Device *device; { nvmlReturn_t state = find(handle, &device); if (state) return state; }

nvmlReturn_t nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    nvmlReturn_t state = refresh();
    if (state == NVML_SUCCESS) users++;
    return state;
}

nvmlReturn_t nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

nvmlReturn_t nvmlShutdown(void) {
    if (!users) return NVML_ERROR_UNINITIALIZED;
    users--;
    return NVML_SUCCESS;
}

const char *nvmlErrorString(nvmlReturn_t code) {
    return code == NVML_ERROR_GPU_IS_LOST ? "GPU is lost" : code == NVML_ERROR_DRIVER_NOT_LOADED ? "Driver Not Loaded" : "Fake error";
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *text, unsigned length) {
    snprintf(text, length, "999.00-fake");
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *number) {
    if (!users) return NVML_ERROR_UNINITIALIZED;
    nvmlReturn_t state = refresh();
    *number = count;
    return state;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *handle) {
    if (!users) return NVML_ERROR_UNINITIALIZED;
    if (index >= count) return NVML_ERROR_INVALID_ARGUMENT;
    *handle = (nvmlDevice_t)(size_t)(index + 1);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t handle, char *text, unsigned length) {
    FIND(handle, device)
    snprintf(text, length, "%s", device->uuid);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t handle, char *text, unsigned length) {
    FIND(handle, device)
    snprintf(text, length, "%s", device->model);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t handle, nvmlMemory_t *memory) {
    FIND(handle, device)
    memory->total = device->total;
    memory->used = device->used + device->reserved; /* the first version counts the driver's reserve as used */
    memory->free = memory->total - memory->used;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t handle, nvmlMemory_v2_t *memory) {
    FIND(handle, device)
    memory->total = device->total;
    memory->reserved = device->reserved;
    memory->used = device->used;
    memory->free = memory->total - memory->used - memory->reserved;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t handle, unsigned *number, nvmlProcessInfo_t *infos) {
    FIND(handle, device)
    if (device->unnamed) return NVML_ERROR_NOT_SUPPORTED;
    unsigned room = *number;
    *number = (unsigned)device->processes;
    if (*number > room) return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < *number; i++) {
        infos[i].pid = device->pids[i];
        infos[i].usedGpuMemory = device->sizes[i] < 0 ? (unsigned long long)NVML_VALUE_NOT_AVAILABLE : (unsigned long long)device->sizes[i] << 20;
        infos[i].gpuInstanceId = infos[i].computeInstanceId = 0xFFFFFFFF;
    }
    return NVML_SUCCESS;
}

/* One sample for each process that did something, taken now; those up to the given time are not told again. */
nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t handle, nvmlProcessUtilizationSample_t *samples, unsigned *number, unsigned long long seen) {
    FIND(handle, device)
    if (!device->apart || device->unnamed || device->mig) return NVML_ERROR_NOT_SUPPORTED;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    unsigned long long us = now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
    unsigned room = samples ? *number : 0;
    *number = 0;
    for (int i = 0; i < device->processes; i++) {
        if (!device->percents[i] || us <= seen) continue;
        if (*number < room) {
            memset(&samples[*number], 0, sizeof *samples);
            samples[*number].pid = device->pids[i];
            samples[*number].timeStamp = us;
            samples[*number].smUtil = device->percents[i];
        }
        ++*number;
    }
    return !*number ? NVML_ERROR_NOT_FOUND : *number > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t handle, int *major, int *minor) {
    FIND(handle, device)
    if (!device->capability) return NVML_ERROR_NOT_SUPPORTED;
    *major = device->capability / 10;
    *minor = device->capability % 10;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t handle, nvmlUtilization_t *rates) {
    FIND(handle, device)
    if (device->util < 0) return NVML_ERROR_NOT_SUPPORTED;
    rates->gpu = rates->memory = (unsigned)device->util;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t handle, nvmlTemperatureSensors_t sensor, unsigned *degrees) {
    (void)sensor;
    FIND(handle, device)
    if (device->temp < 0) return NVML_ERROR_NOT_SUPPORTED;
    *degrees = (unsigned)device->temp;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t handle, unsigned *milliwatts) {
    FIND(handle, device)
    if (device->watts < 0) return NVML_ERROR_NOT_SUPPORTED;
    *milliwatts = (unsigned)device->watts * 1000;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t handle, unsigned *milliwatts) {
    FIND(handle, device)
    if (device->watts < 0) return NVML_ERROR_NOT_SUPPORTED;
    *milliwatts = 400000;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t handle, unsigned *current, unsigned *pending) {
    FIND(handle, device)
    *current = *pending = (unsigned)device->mig;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t one, nvmlDevice_t other, nvmlGpuTopologyLevel_t *level) {
    FIND(one, a)
    FIND(other, b)
    *level = a == b ? NVML_TOPOLOGY_INTERNAL : a->numa == b->numa ? NVML_TOPOLOGY_NODE : NVML_TOPOLOGY_SYSTEM;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t one, nvmlDevice_t other, nvmlGpuP2PCapsIndex_t what, nvmlGpuP2PStatus_t *status) {
    FIND(one, a)
    FIND(other, b)
    int joined = what == NVML_P2P_CAPS_INDEX_NVLINK && a->nvlink && a->nvlink == b->nvlink;
    *status = joined ? NVML_P2P_STATUS_OK : NVML_P2P_STATUS_NOT_SUPPORTED;
    return NVML_SUCCESS;
}
